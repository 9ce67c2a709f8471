"""An editor with two groups of modes that exclude each other: what is being done, and whether it is saved.

Nobody writes a transition table. Relations say what cannot be true together; a handler refuses to quit unsaved work.
"""

from __future__ import annotations

from asyncmachine import Event, Machine, Schema, State

MODES = ("Reading", "Typing", "Selecting")


class EditorStates(Schema):
    Open = State(add="Reading")
    Reading = State(require="Open", remove=MODES)
    Typing = State(require="Open", remove=MODES, add="Modified")
    Selecting = State(require="Open", remove=MODES)
    Modified = State(require="Open", remove="Saved")
    Saved = State(require="Open", remove=Modified)
    Toolbar = State(auto=True, require="Selecting")


class Editor:
    def OpenExit(self, e: Event) -> bool:
        return not e.machine.is_("Modified")  # unsaved work stays open

    def TypingState(self, e: Event) -> None:
        print("typed", e.args.get("key", ""))

    def ToolbarState(self, e: Event) -> None:
        print("toolbar appears")

    def ToolbarEnd(self, e: Event) -> None:
        print("toolbar disappears")


editor = Machine(EditorStates, id="editor", handlers=Editor())
editor.add("Open")
editor.add("Typing", key="x")
print(editor)
editor.add("Selecting")  # ends Typing; the toolbar comes by itself
print(editor)
print("quit:", "done" if editor.remove("Open").executed else "refused")
editor.add("Saved")
print("quit:", "done" if editor.remove("Open").executed else "refused")
print(editor.string_all())
