"""What a run leaves to look at: pictures, curves, a video and the cloud as PLY."""
