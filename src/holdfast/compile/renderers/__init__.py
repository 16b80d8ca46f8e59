"""One file a program. A renderer is `render(view: NodeView) -> Rendering`, pure: no clock, no environment, no mutation.

Who adds an engine writes `renderers/ENGINE.py` with its template beside it, collects what it cannot express in
`Rendering.refusals` (never drops it), adds its service to `bundle.Service`, its adapter to `agent/services/` and its
allow-list to `agent/admission/`, and a row to `compiler.RENDERERS`.
"""
