"""Where a run is shown while it trains."""
