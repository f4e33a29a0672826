"""Estimators in the manner of scikit-learn whose result is a tree as data."""
