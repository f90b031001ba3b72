import { useGraphiQL } from '@graphiql/react';
import { useEffect } from 'react';

// Answer lets what is read in the answer stay where it is while events arrive above it:
// GraphiQL replaces the whole text for each, which scrolls to the top and drops what is
// selected. It shows nothing, and must be inside GraphiQL.
export function Answer() {
  const editor = useGraphiQL((state) => state.responseEditor);
  useEffect(() => {
    if (!editor) return undefined;
    editor.setValue = (value) => grow(editor, value);
    return () => {
      delete editor.setValue;
    };
  }, [editor]);
  return null;
}

// grow gives the editor a value: if all that it holds comes after something new in the
// same braces, by inserting what is new. A reader at the top goes on seeing the newest.
function grow(editor, value) {
  const model = editor.getModel();
  const held = model.getValue();
  if (held.length < 3 || value.length <= held.length || !value.endsWith(held.slice(1))) {
    model.setValue(value);
    return;
  }
  const top = editor.getScrollTop();
  const first = editor.getVisibleRanges()[0]?.startLineNumber ?? 1;
  const into = top - editor.getTopForLineNumber(first);
  const lines = model.getLineCount();
  const text = value.slice(1, value.length - held.length + 1);
  model.applyEdits([{ range: { startLineNumber: 1, startColumn: 2, endLineNumber: 1, endColumn: 2 }, text }]);
  editor.setScrollTop(top === 0 ? 0 : editor.getTopForLineNumber(first + model.getLineCount() - lines) + into);
}
