"""What somebody could put into a title."""

from __future__ import annotations

XSS = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
