// From path and host to the model: a walk down the compressed trie of paths. Most specific wins: an exact
// path before any prefix, a longer prefix before a shorter one, and for one path a named host before "any
// host". Paths are compared byte by byte as they came: never decoded, never normalised, so what is matched
// is what the upstream gets. A prefix ends at a border: the end, '/' or ':'.
// Invariant: reads at most `path.count` bytes of the path, and one binary search per node passed.

import Wire

extension AssignTable {
    /// The model for a request; nil when no route matches (404 `no_route`).
    /// - Parameters:
    ///   - path: of the target, without the query.
    ///   - host: with or without port and dot at its end, in any case; may be empty.
    func route(path: ByteView, host: ByteView) -> ModelIndex? {
        let hostNumber = hasHosts ? number(of: host) : 0
        var best: ModelIndex?
        var node = nodes
        var at = 0
        while true {
            if node.pointee.prefix.count > 0,
                at == path.count || node.pointee.isBorder || Self.isBorder(path[at]),
                let model = model(in: node.pointee.prefix, host: hostNumber)
            {
                best = model
            }
            if at == path.count {
                if node.pointee.exact.count > 0, let model = model(in: node.pointee.exact, host: hostNumber) {
                    return model
                }
                return best
            }
            guard let child = child(of: node, beginning: path[at]) else { return best }
            let label = child.pointee.label
            guard path.count &- at >= Int(label.count),
                ByteView.agree(path.base + at, text + Int(label.start), Int(label.count))
            else { return best }
            at &+= Int(label.count)
            node = child
        }
    }

    /// The model for a parsed request.
    func route(_ head: RequestHead, bytes: RawSpan) -> ModelIndex? {
        precondition(head.byteCount <= bytes.byteCount)
        return bytes.withUnsafeBytes { raw in
            guard let base = raw.baseAddress else { return nil }
            return route(
                path: ByteView(base + Int(head.path.start), Int(head.path.count)),
                host: ByteView(base + Int(head.authority.start), Int(head.authority.count)))
        }
    }

    @inline(__always)
    private static func isBorder(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "/") || byte == UInt8(ascii: ":")
    }

    @inline(__always)
    private func child(
        of node: UnsafePointer<RouteNode>, beginning byte: UInt8
    ) -> UnsafePointer<RouteNode>? {
        let bytes = text + Int(node.pointee.childBytes)
        var low = 0
        var high = Int(node.pointee.childCount)
        while low < high {
            let middle = (low &+ high) &>> 1
            let other = bytes.load(fromByteOffset: middle, as: UInt8.self)
            if other == byte { return nodes + (Int(node.pointee.firstChild) &+ middle) }
            if other < byte { low = middle &+ 1 } else { high = middle }
        }
        return nil
    }

    /// The model for `host` in a node's list, else the one for any host.
    @inline(__always)
    private func model(in place: Place, host: UInt32) -> ModelIndex? {
        let list = targets + Int(place.start)
        if host != 0 {
            var low = 0
            var high = Int(place.count)
            while low < high {
                let middle = (low &+ high) &>> 1
                if list[middle].host == host { return Int(list[middle].model) }
                if list[middle].host < host { low = middle &+ 1 } else { high = middle }
            }
        }
        return list[0].host == 0 ? Int(list[0].model) : nil
    }

    // MARK: Hosts

    /// The number of a host that some route names, else 0.
    @inline(never)
    private func number(of authority: ByteView) -> UInt32 {
        let host = Self.withoutRootDot(Self.withoutPort(authority))
        guard host.count > 0 else { return 0 }
        let hash = host.foldedHash
        var at = hash & hostMask
        while hosts[Int(at)].host != 0 {
            let entry = hosts[Int(at)]
            if entry.hash == hash, Int(entry.count) == host.count {
                let lowered = text + Int(entry.bytes)
                if ByteView.agree(host.base, lowered: lowered, fold: lowered + host.count, host.count) {
                    return entry.host
                }
            }
            at = (at &+ 1) & hostMask
        }
        return 0
    }

    /// Strips the dot of a name that is written as absolute (RFC 1034, section 3.1): "a.test." is "a.test".
    @inline(__always)
    private static func withoutRootDot(_ host: ByteView) -> ByteView {
        guard host.count > 1, host[host.count &- 1] == UInt8(ascii: ".") else { return host }
        return ByteView(host.base, host.count &- 1)
    }

    /// Strips ":port"; the brackets of an IPv6 literal belong to the host.
    private static func withoutPort(_ authority: ByteView) -> ByteView {
        var end = authority.count
        while end > 0 {
            let byte = authority[end &- 1]
            if byte == UInt8(ascii: ":") { return ByteView(authority.base, end &- 1) }
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return authority }
            end &-= 1
        }
        return authority
    }
}
