"""Unique names for attachments, since several cells can each have an `attachment:image.png`."""

from __future__ import annotations

from nbformat import NotebookNode


def name_attachments_apart(notebook: NotebookNode) -> NotebookNode:
    """Give attachments of different cells different names, since they are written to one folder.

    JupyterLab calls each pasted picture `image.png`.

    Args:
        notebook: changed in place.

    Returns:
        The notebook.
    """
    taken: set[str] = set()
    for cell in notebook.cells:
        for name in sorted(cell.get("attachments", {})):
            unique, count = name, 1
            while unique in taken:
                count += 1
                unique = f"{count}-{name}"
            taken.add(unique)
            if unique != name:
                cell.attachments[unique] = cell.attachments.pop(name)
                cell.source = cell.source.replace(f"attachment:{name}", f"attachment:{unique}")
    return notebook
