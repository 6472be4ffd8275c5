"""Serving: forecasts and verified adjustments over HTTP. Never trains; sends no adjustment that is not verified."""
