"""Pictures in and out, natural distortions of them, and triplets made of both."""
