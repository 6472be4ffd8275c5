"""Chains as they happen: what a venue publishes, fetched, checked and put on disk so that nothing is lost or invented.

`deribit.collector` puts the pieces together; `manifest` says what a collected folder holds. Nothing here can trade:
only public methods are called.
"""
