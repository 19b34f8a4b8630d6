"""What acceptlake costs, measured beside others that do the same; see README.md here."""
