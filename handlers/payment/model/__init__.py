"""What payment looks at when it decides, why it says no, and how it decides: pure."""
