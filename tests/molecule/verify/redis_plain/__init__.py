"""Role redis, no Sentinels."""
