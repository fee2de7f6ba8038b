"""What ``zhiliu show`` tells: facts as JSON from one function a subject, and their text from another."""
