"""Estimators in the style of scikit-learn whose result is a tree as data."""
