"""What can be done with clusters, without any web in it: handlers check who asks, call one of these, and answer.

    desk.Desk(store, sealer, actor, source)   what every operation is handed: where it works, and for whom

    clusters    clusters(store, only) · make_cluster(desk, ClusterRequest) · read_lock(desk, c) · write_lock(desk, c, …)
    proposals   propose(desk, c, spec, base) → ProposalView
    revisions   apply(desk, c, RevisionRequest) · rollback(desk, c, RollbackRequest) → Applied
                plan_rollback(desk, c, n) → ProposalView
    history     history(store, c, before, limit) · show(store, c, n) · node_files(desk, c, n, node)
                nodes_of(desk, c, n) · revision_diff(desk, c, a, b)
    happened    happened(store, c, kinds, node, before, limit): events, newest first
                audited(store, c, actions, who, before, limit)
    rollouts    rollouts(store, c, before, limit) · rollout(store, c, id) · go_on(desk, c, id)
                of_revisions(store, c, lowest) · stop(desk, c, id, StopRequest)
    overrides   overrides(store, c) · set_override(desk, c, kind, target, OverrideRequest) → OverrideResult
                clear_override(desk, c, kind, target, virtual_server, wait_s)
    moving      move(desk, c, group, MoveRequest) → MovedGroup · begin_maintenance(desk, c, node, MaintenanceRequest)
                end_maintenance(desk, c, node) → MaintenanceResult
    leaving     would_move(desk, c, node) → Leaving: what taking a node out would move, and to whom
                maintenance_of(store, c, node)
    status      status(store, c) · nodes(store, c) · node(store, c, n) · configuration(store, c, n)
    told        records of the store as the API tells them: event_view, audit_view, user_view, token_view, …

All are async (but those of `told`), answer with models of protocol.api, and raise what holdfast.errors has: NotFound,
Outdated with both diffs, SpecError and CompileError with findings, PlanRefused. What costs CPU runs in threads.
"""
