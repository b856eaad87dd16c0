"""What training starts from: votes, hulls, points, and the targets that wrong masks leave."""
