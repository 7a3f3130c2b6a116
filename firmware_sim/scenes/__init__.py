"""What the emulated sensor looks at: video files, cameras and synthetic pictures."""
