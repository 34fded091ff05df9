"""Reading and writing pictures, natural distortions of them, and triplets of a picture and two distortions."""
