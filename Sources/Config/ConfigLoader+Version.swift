// The section of a version: where it runs, what is changed on the way to it, how its endpoints are judged.
// Invariant: endpoints are resolved and all different, and a rewrite touches no header that frames a message
// or belongs to one connection (RFC 9110, section 7.6.1).

import Platform
import Proxy

extension Kind where Value == [TableEntry<VersionConfig>] {
    /// The versions of a model, by name, in the order of the file.
    static var versions: Kind {
        let table = Kind.table(
            "a mapping from version name to its endpoints", names: .name, of: .version,
            max: Limits.versionsPerModelMax)
        return Kind(expected: table.expected) { node in
            guard var versions = node.read(table) else { return nil }
            for index in versions.indices {
                let name = versions[index].name.value
                versions[index].value?.name = name
                if versions[index].value?.identity == "" { versions[index].value?.identity = name }
            }
            return versions
        }
    }
}

extension Kind where Value == VersionConfig {
    /// Without its name, which is the key it stands under.
    fileprivate static var version: Kind {
        .section("a version: a mapping with endpoints") { section in
            let endpoints = section.required("endpoints", .endpoints)
            let rewrite = section.value("rewrite", .rewrite, or: RewritePlan())
            let healthCheck = section.optional("health_check", .healthCheck)
            let inFlight = section.value("max_in_flight", .count(0...1_000_000), or: 4_096)
            let queue = section.value("queue", .queue, or: QueueDraft())
            let ejection = section.value("outlier_ejection", .ejection, or: EjectionPlan())
            let slowStart = section.value("slow_start", .duration(.zero ... .days(1)), or: .zero)
            let identity = section.value(
                "identity", .text("what the version says when it is asked who it is"), or: "")
            guard let endpoints else { return nil }
            return VersionConfig(
                name: "", endpoints: endpoints, rewrite: rewrite, healthCheck: healthCheck,
                inFlightMax: inFlight, queueMax: queue.max, queueTimeout: queue.timeout, ejection: ejection,
                slowStart: slowStart, identity: identity)
        }
    }
}

extension Kind where Value == [SocketAddress] {
    /// All addresses of a version, each once.
    static var endpoints: Kind {
        let list = Kind<[Marked<[SocketAddress]>]>.list(
            of: .marked(Kind.addresses(port: .notZero)), count: 1...Limits.endpointsPerVersionMax)
        return Kind(expected: list.expected) { node in
            guard let items = node.read(list) else { return nil }
            var addresses: [SocketAddress] = []
            var seen: Set<SocketAddress> = []
            for item in items {
                for address in item.value {
                    if seen.insert(address).inserted {
                        addresses.append(address)
                    } else {
                        node.reading.report(
                            item.place, "\(address) stands here already:", value: item.text,
                            expected: "each address once")
                    }
                }
            }
            if addresses.count > Limits.endpointsPerVersionMax {
                node.reading.report(
                    node.place, "its names have \(addresses.count) addresses",
                    expected: "at most \(Limits.endpointsPerVersionMax)")
            }
            return addresses
        }
    }
}

private struct QueueDraft {
    var max = 1_024
    var timeout = Interval.seconds(1)
}

extension Kind where Value == QueueDraft {
    fileprivate static var queue: Kind {
        .section("a mapping with max and timeout") { section in
            let standard = QueueDraft()
            return QueueDraft(
                max: section.value("max", .count(0...1_000_000), or: standard.max),
                timeout: section.value(
                    "timeout", .duration(.millis(1) ... .days(1)), or: standard.timeout))
        }
    }
}

extension Kind where Value == EjectionPlan {
    fileprivate static var ejection: Kind {
        .section("a mapping with consecutive_failures, time and max_time") { section in
            let standard = EjectionPlan()
            let range = Interval.millis(100)...Interval.days(1)
            let failures = section.value(
                "consecutive_failures", .count(0...1_000), or: standard.consecutiveFailures)
            let time = section.optional("time", .marked(.duration(range)))
            let timeMax = section.optional("max_time", .marked(.duration(range)))
            let first = time?.value ?? min(standard.time, timeMax?.value ?? standard.time)
            let longest = timeMax?.value ?? max(standard.timeMax, first)
            if let timeMax, timeMax.value < first {
                section.reading.report(
                    timeMax.place, "is shorter than time:", value: timeMax.text,
                    expected: "at least \(Notation.text(first))")
            }
            return EjectionPlan(consecutiveFailures: failures, time: first, timeMax: longest)
        }
    }
}

extension Kind where Value == HealthCheckConfig {
    fileprivate static var healthCheck: Kind {
        .section("a mapping with path") { section in
            let path = section.required("path", .target)
            let statuses = section.value(
                "status", .oneOrMany(.count(100...599), max: 64), or: [200])
            let range = Interval.millis(10)...Interval.days(1)
            let interval = section.value("interval", .duration(range), or: .seconds(5))
            let timeout = section.optional("timeout", .marked(.duration(range)))
            let healthy = section.value("healthy_threshold", .count(1...100), or: 2)
            let unhealthy = section.value("unhealthy_threshold", .count(1...100), or: 3)
            if let timeout, timeout.value > interval {
                section.reading.report(
                    timeout.place, "is longer than the interval:", value: timeout.text,
                    expected: "at most \(Notation.text(interval))")
            }
            guard let path else { return nil }
            return HealthCheckConfig(
                path: path, statuses: Set(statuses).sorted().map { UInt16($0) }, interval: interval,
                timeout: timeout?.value ?? min(.seconds(2), interval), healthyThreshold: healthy,
                unhealthyThreshold: unhealthy)
        }
    }
}

extension Kind where Value == RewritePlan {
    fileprivate static var rewrite: Kind {
        .section("a mapping with path_prefix, host, add_headers and remove_headers") { section in
            let prefix = section.optional("path_prefix", .pathPrefix)
            let host = section.optional("host", .host(port: true))
            let added = section.value(
                "add_headers",
                .table("a mapping from header to value", names: .rewritable, of: .headerValue), or: [])
            let removed = section.value(
                "remove_headers", .list(of: .rewritable, count: 0...64), or: [])
            let pairs = added.compactMap { entry in
                entry.value.map { RewritePlan.HeaderPair(name: entry.name.value, value: $0) }
            }
            return RewritePlan(pathPrefix: prefix, host: host, addHeaders: pairs, removeHeaders: removed)
        }
    }
}

extension Kind where Value == RewritePlan.PathPrefix {
    fileprivate static var pathPrefix: Kind {
        .section("a mapping with from and to") { section in
            let from = section.required("from", .prefixPath)
            let to = section.required("to", .prefixPath)
            guard let from, let to else { return nil }
            return RewritePlan.PathPrefix(from: from, to: to)
        }
    }
}

extension Kind where Value == String {
    /// A path without empty segments: what is made of it begins with one slash and has one at the seam.
    fileprivate static var prefixPath: Kind {
        Kind(expected: path.expected) { node in
            guard let path = node.read(.path) else { return nil }
            guard path.contains("//") else { return path }
            var meant = path
            while meant.contains("//") { meant.replace("//", with: "/") }
            return node.mismatch(expected: "a path without // in it", suggestion: meant)
        }
    }

    /// A header that a rewrite may touch: not those that frame the message or belong to the connection.
    fileprivate static var rewritable: Kind {
        let refused = [
            "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te",
            "trailer", "transfer-encoding", "upgrade",
        ]
        return Kind(expected: headerName.expected) { node in
            guard let name = node.read(.headerName) else { return nil }
            guard refused.contains(name) else { return name }
            let instead = name == "host" ? "rewrite.host, for Host" : "a header that Weir does not set itself"
            return node.mismatch(expected: instead)
        }
    }
}
