"""What `make clean-up` does: look, plan, delete, look again.

`names` says what belongs to a UniqueID, `plan` puts what was found into an order (both pure);
`find*` look, `effects*` delete, `rounds` repeats until nothing is left or nothing moves any more.
"""
