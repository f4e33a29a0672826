"""Curvature: the Hessian of the training loss, its largest eigenvalues, its trace."""
