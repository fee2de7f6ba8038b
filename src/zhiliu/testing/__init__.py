"""Contract test classes and strategies for plug-in authors."""
