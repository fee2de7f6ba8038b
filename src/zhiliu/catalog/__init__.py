"""Videos, creators, people: ids, metadata, columns for request time."""
