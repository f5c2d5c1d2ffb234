"""A release on its way: two methods to bring it, one engine that follows, goes on, goes back."""
