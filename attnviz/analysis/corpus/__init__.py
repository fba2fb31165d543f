"""Analyses of many texts: distributions, roles, typical links, outliers, induction, cost."""
