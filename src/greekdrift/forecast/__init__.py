"""The joint law of what the market state does next: every forecaster, weak and strong, behind one small interface."""
