"""What a group of shots says about rifle, pistol and shooter, and how sure it is: pure, vectorised, without units."""
