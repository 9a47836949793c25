"""HubSpot's stand-in: the contacts of one account, its limits, and the people who act by themselves."""
