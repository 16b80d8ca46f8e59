// What the console's editor uses of CodeMirror; everything else is left out of the bundle.
export {Annotation, Compartment, EditorState} from "@codemirror/state";
export {
  EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers,
} from "@codemirror/view";
export {defaultKeymap, history, historyKeymap, indentWithTab, isolateHistory} from "@codemirror/commands";
export {
  HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting,
} from "@codemirror/language";
export {yaml} from "@codemirror/lang-yaml";
export {tags} from "@lezer/highlight";
export {highlightSelectionMatches, openSearchPanel, search, searchKeymap} from "@codemirror/search";
export {autocompletion, completionKeymap, startCompletion} from "@codemirror/autocomplete";
export {lintGutter, lintKeymap, nextDiagnostic, setDiagnostics} from "@codemirror/lint";
