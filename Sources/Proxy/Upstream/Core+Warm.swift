// Weight 0 stays warm: an endpoint that a plan holds at weight 0 keeps one connected, idle connection per
// core, renewed as it ages, so that the first percent of a rollout and the first request after a return to
// stable meet no cold connection. One that the server closes is not renewed before its age: no loop.
// Bound: `warmEndpointsMax` endpoints per core; the rest connect when they are first needed.

import Platform

extension Core {
    /// Chooses the endpoints that stay warm under the plan just taken over, and connects them.
    func warmPlanned() {
        var left = limits.warmEndpointsMax
        for slot in endpoints.slots {
            let endpoint = endpoints.pointer(slot)
            endpoint.pointee.staysWarm = false
            guard left > 0, endpoint.pointee.isPlanned, endpoint.pointee.version != .none,
                versions[endpoint.pointee.version].staysWarm
            else { continue }
            endpoint.pointee.staysWarm = true
            left -= 1
            warm(slot)
        }
    }

    /// Connects the endpoint if it is to stay warm and has no idle connection.
    func warm(_ slot: Slot<EndpointState>) {
        let endpoint = endpoints.pointer(slot)
        // A connection is no request: it does not wait for the first check.
        guard endpoint.pointee.staysWarm, endpoint.pointee.pool.count == 0, !isDraining,
            standing(slot) != .failing, endpoint.pointee.ejectedUntil <= now,
            endpoint.pointee.warming == .none
        else { return }
        guard case .open(let connection) = open(slot, isShadow: false) else { return }
        if upstreams[connection].phase == .busy {
            keepIdle(connection)
        } else {
            endpoint.pointee.warming = connection
        }
    }
}
