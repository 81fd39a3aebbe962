"""One file a step, in the order of `down_revision`; a step that was released is never changed."""
