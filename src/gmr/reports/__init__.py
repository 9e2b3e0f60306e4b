"""Results as self-contained HTML pages and figures; text and pictures of users are data, never markup."""
