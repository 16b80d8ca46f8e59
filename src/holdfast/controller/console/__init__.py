"""The web console: pages that say what the API says, for people who would rather look. It decides nothing."""
