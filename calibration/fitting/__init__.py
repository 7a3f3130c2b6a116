"""The estimators, in the order in which `analysis` applies them.

`checks` refuses impossible readings; `moments` measures each level; `transfer_points` makes it a
point of the curve, by `code_likelihood` where codes are clipped or coarse; `photon_transfer` fits
the line; `response` and `nonuniformity` measure the rest. `estimates` and `warnings` are the
outcome, with the confidence intervals of `intervals`.
"""
