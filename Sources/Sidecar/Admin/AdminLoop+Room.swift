// Room for a newcomer where every place is taken: whoever does the least with theirs leaves.
//
// Theory: a connection is worth what was asked on it. One that has had its answer is worth nothing; one
// that has sent no whole request, or nothing at all, is worth little, however many bytes it has dribbled;
// then come those that do not read their answer, and those that wait for a page. One that waits for a verb
// keeps its place. In each group the one that has been in it longest leaves first. Every newcomer has
// `AdminTimes.grace` to send its request, so a crowd that comes again and again waits in the kernel's
// backlog instead of pushing out an operator whose request is on its way.
// Invariant: a verb that has come in whole is answered, or its client has given up.

import Control
import Platform

/// One client of the admin API.
final class AdminConnection {
    enum State {
        /// Between requests, or inside one.
        case reading
        /// The controller owes the answer.
        case waiting(isHead: Bool, keepsAlive: Bool, isVerb: Bool)
        /// `output` from `written` on is due to the client.
        case writing(keepsAlive: Bool)
        /// The last answer is written; what still comes is dropped.
        case lingering
    }

    let descriptor: Descriptor
    let token: Token
    let peer: AdminPeer
    var reader = AdminReader()
    var state = State.reading
    var output: [UInt8] = []
    var written = 0
    var deadline: Instant
    /// No more bytes will come.
    var isEnded = false
    /// Since it was accepted, or since its last answer was written; parts of a request change nothing.
    var idleSince: Instant
    /// Since its request was whole, or its answer last got on.
    var busySince: Instant

    init(
        _ descriptor: consuming Descriptor, _ token: Token, _ peer: AdminPeer, now: Instant, deadline: Instant
    ) {
        self.descriptor = descriptor
        self.token = token
        self.peer = peer
        self.deadline = deadline
        idleSince = now
        busySince = now
    }

    /// The group to leave, lowest first, and since when it is in it; nil for one that keeps its place.
    var leave: (group: Int, since: Instant)? {
        switch state {
        case .lingering: (0, busySince)
        case .reading: (1, idleSince)
        case .writing: (2, busySince)
        case .waiting(_, _, isVerb: false): (3, busySince)
        case .waiting(_, _, isVerb: true): nil
        }
    }
}

/// A client that has been accepted and has no place yet.
final class Newcomer {
    var descriptor: Descriptor?
    let address: IPAddress

    init(_ descriptor: consuming Descriptor, _ address: IPAddress) {
        self.descriptor = .some(descriptor)
        self.address = address
    }
}

/// Where a newcomer goes.
enum AdminRoom {
    case place(Int)
    /// Everybody has a right to their place until then.
    case noneBefore(Instant)
}

extension AdminLoop {
    /// A free place; one whose holder has to leave where there is none.
    func makeRoom(_ now: Instant) -> AdminRoom {
        if let slot = connections.firstIndex(where: { $0 == nil }) { return .place(slot) }
        let grace = server.times.grace
        var next: AdminConnection?
        var best: (group: Int, since: Instant)?
        var soonest = now + grace
        for case .some(let connection) in connections {
            guard let leave = connection.leave else { continue }
            guard leave.since + grace <= now else {
                soonest = min(soonest, leave.since + grace)
                continue
            }
            if let best, (best.group, best.since) <= (leave.group, leave.since) { continue }
            (best, next) = (leave, connection)
        }
        guard let next else { return .noneBefore(soonest) }
        evict(next)
        return .place(Int(next.token.slot))
    }

    /// Closes a connection for another's sake; one whose request is not answered is told why, if it can be.
    private func evict(_ connection: AdminConnection) {
        let isOwed =
            switch connection.state {
            case .reading: connection.reader.isInRequest
            case .waiting: true
            case .writing, .lingering: false
            }
        if isOwed, connection.output.isEmpty {
            let response = AdminResponse.refusal(
                503,
                "this connection was the idlest of \(AdminServer.connectionsMax) when another one came; "
                    + "nothing was changed: send the request again")
            connection.output = response.bytes(toHead: false, keepsAlive: false)
            guard flush(connection) else { return close(connection) }
            connection.descriptor.shutdownWrite()
        }
        close(connection)
    }
}
