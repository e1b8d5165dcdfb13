"""What the product is measured against: each written the way most would write it, on the same tables and recordings."""
