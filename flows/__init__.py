"""The only code that knows Prefect and APScheduler: what runs when, and how a person watches it."""
