// The cold, String-taking front of assignment: builds the request's head as a client would send it, parses
// it with the same parser, asks the same tables, and tests each condition once more on its own to say why.
// For the CLI, the admin API and tests; allocates freely and never runs on a core.
// Invariant: the answer comes from `AssignTable.assign`; that it agrees with the conditions is tested.

import Platform
import Wire

/// Explains assignments under one plan. Confined to the thread that made it.
public final class Explainer {
    private let models: [ModelPlan]
    private let table: AssignTable
    private var parser: HeadParser

    /// - Parameter limits: those of the data plane, by which it refuses heads.
    /// - Precondition: as for a plan that is published: validated.
    public init(models: [ModelPlan], trusted: [AddressRange], limits: Limits = Limits()) {
        self.models = models
        table = AssignTable(models: models, trusted: trusted)
        parser = HeadParser(limits: limits.requestHeads)
    }

    /// Why a request gets its version.
    /// - Parameters:
    ///   - path: the target: path and query as in the request line.
    ///   - host: of the Host header, unless `headers` have one.
    ///   - client: the peer's address; X-Forwarded-For counts when it is trusted.
    ///   - switches: the switch words of models in which something is cut.
    public func explain(
        method: String = "GET", path: String, host: String = "localhost",
        headers: [(name: String, value: String)] = [], client: IPAddress = .none,
        switches: [ModelSlot: UInt64] = [:]
    ) -> Explanation {
        var explanation = Explanation(
            answer: .noRoute, model: nil, match: nil, client: client, isTrusted: false, forced: .absent,
            cohorts: [], keys: [], keyHash: nil, shares: [], shadow: nil)
        let texts = [method, path, host] + headers.flatMap { [$0.name, $0.value] }
        guard !texts.contains(where: { $0.utf8.contains(13) || $0.utf8.contains(10) }) else {
            explanation.answer = .refused(status: 400, cause: "\(RefusalCause.controlByte.label)")
            return explanation
        }
        let bytes = Self.head(method: method, path: path, host: host, headers: headers)
        switch parser.request(bytes.span.bytes) {
        case .needMore:
            explanation.answer = .refused(status: 431, cause: "\(RefusalCause.headTooLong.label)")
        case .refused(let refusal):
            explanation.answer = .refused(status: refusal.status, cause: "\(refusal.cause.label)")
        case .complete(let head):
            explain(head, bytes, peer: client, switches: switches, into: &explanation)
        }
        return explanation
    }

    private static func head(
        method: String, path: String, host: String, headers: [(name: String, value: String)]
    ) -> [UInt8] {
        var text = "\(method) \(path) HTTP/1.1\r\n"
        if !headers.contains(where: { FactNames.lowered($0.name) == Array("host".utf8) }) {
            text += "Host: \(host)\r\n"
        }
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        return Array((text + "\r\n").utf8)
    }

    private func explain(
        _ head: RequestHead, _ bytes: [UInt8], peer: IPAddress, switches: [ModelSlot: UInt64],
        into explanation: inout Explanation
    ) {
        let caller = table.caller(peer: peer, head: head, fields: parser, bytes: bytes.span.bytes)
        explanation.client = caller.client
        explanation.isTrusted = caller.isTrusted
        guard let index = table.route(head, bytes: bytes.span.bytes) else { return }
        let model = models[index]
        explanation.model = model.name
        explanation.match = bestMatch(of: model, head, bytes)
        let word = Switches(word: switches[model.slot] ?? 0)
        var random = Random64(seed: 0)
        let assignment = table.assign(
            index, head: head, fields: parser, bytes: bytes.span.bytes, caller: caller, switches: word,
            random: &random)
        let facts = facts(of: model, index: index, head, bytes, caller: caller)
        explanation.forced = forced(model, facts, caller: caller)
        explanation.cohorts = model.cohorts.map { cohort in
            let tested = cohort.conditions.map { facts.test($0) }
            return Explanation.Cohort(
                name: cohort.name, version: model.versions[cohort.version].name, conditions: tested,
                holds: tested.allSatisfy(\.holds))
        }
        explanation.keys = model.stickyKeys.map { Explanation.Key(key: $0, found: facts.key($0)) }
        explanation.keyHash = assignment.keyHash == 0 ? nil : assignment.keyHash
        explanation.shares = shares(of: model, index: index, switches: word)
        explanation.shadow = model.shadow.map { shadow in
            Explanation.Shadow(
                version: model.versions[shadow.version].name,
                conditions: shadow.conditions.map { facts.test($0) }, matches: assignment.matchesShadow,
                ppm: shadow.ppm)
        }
        explanation.answer = answer(assignment, model, explanation.shares)
    }

    /// A draw is certain when one version has all of the weight in force.
    private func answer(
        _ assignment: Assignment, _ model: ModelPlan, _ shares: [Explanation.Share]
    ) -> Explanation.Answer {
        guard assignment.hasVersion else { return .noVersion }
        let isDrawn = assignment.isRandomised && assignment.keyHash == 0
        if isDrawn, assignment.weightPPM != 1_000_000 { return .drawn(shares.filter { $0.weightPPM > 0 }) }
        return .chosen(
            Explanation.Chosen(
                version: model.versions[Int(assignment.version)].name, reason: assignment.reason,
                cohort: assignment.cohort == Assignment.noCohort
                    ? nil : model.cohorts[Int(assignment.cohort)].name,
                weightPPM: assignment.weightPPM))
    }

    private func shares(
        of model: ModelPlan, index: ModelIndex, switches: Switches
    ) -> [Explanation.Share] {
        model.versions.enumerated().map { number, version in
            Explanation.Share(
                version: version.name, plannedPPM: version.weightPPM,
                weightPPM: table.weight(of: UInt8(number), model: index, switches: switches),
                isStable: number == model.stable, isQuarantined: version.isQuarantined,
                isBarred: switches.eligible(among: .max, stable: 1 << UInt32(model.stable))
                    >> UInt32(number) & 1 == 0)
        }
    }

    private func forced(_ model: ModelPlan, _ facts: Facts, caller: Caller) -> Explanation.Forced {
        guard let name = facts.text(in: FactSlot.forcedVersion) else { return .absent }
        guard caller.isTrusted else { return .untrusted(name: name) }
        let isKnown = model.versions.indices.contains {
            model.versions[$0].name == name && $0 != model.control
        }
        return isKnown ? .obeyed(name: name) : .unknown(name: name)
    }

    /// The model's match that the route took: each is asked on its own, the most specific counts.
    private func bestMatch(of model: ModelPlan, _ head: RequestHead, _ bytes: [UInt8]) -> RouteMatch? {
        let matching = model.matches.filter { match in
            var single = model
            single.matches = [match]
            single.cohorts = []
            return AssignTable(models: [single], trusted: []).route(head, bytes: bytes.span.bytes) != nil
        }
        func rank(_ match: RouteMatch) -> (Int, Int, Int) {
            switch match.path {
            case .exact(let path): (1, path.utf8.count, match.host == nil ? 0 : 1)
            case .prefix(let path): (0, path == "/" ? 0 : path.utf8.count, match.host == nil ? 0 : 1)
            }
        }
        return matching.max { rank($0) < rank($1) }
    }

    // MARK: Facts

    /// The facts of the request that one model's rules mention.
    private struct Facts {
        var names: FactNames
        var values: [Int: [UInt8]]
        var client: IPAddress

        func text(in slot: UInt16) -> String? {
            values[Int(slot)].map { String(decoding: $0, as: UTF8.self) }
        }

        /// A key's value; an empty one is none.
        func key(_ key: StickyKey) -> String? {
            guard let slot = names.slot(of: key) else { return client == .none ? nil : client.description }
            return text(in: slot).flatMap { $0.isEmpty ? nil : $0 }
        }

        func test(_ condition: Condition) -> Explanation.Tested {
            guard let slot = names.slot(of: condition) else {
                return Explanation.Tested(
                    condition: condition, found: client == .none ? nil : client.description,
                    holds: contains(condition))
            }
            let value = values[Int(slot)]
            return Explanation.Tested(
                condition: condition, found: text(in: slot),
                holds: value.map { holds(condition, $0) } ?? false)
        }

        private func holds(_ condition: Condition, _ value: [UInt8]) -> Bool {
            switch condition {
            case .address: contains(condition)
            case .method(let name): value == Array(name.utf8)
            case .header(_, let match), .cookie(_, let match), .query(_, let match), .path(let match):
                switch match {
                case .present: true
                case .exact(let text): value == Array(text.utf8)
                case .prefix(let text): value.starts(with: text.utf8)
                case .regex(let text): (try? Pattern(text))?.matches(value.span.bytes) ?? false
                }
            }
        }

        private func contains(_ condition: Condition) -> Bool {
            guard case .address(let ranges) = condition else { return false }
            return ranges.contains { range in
                let mask = AssignCompiler.mask(prefixBits: range.prefixBits)
                return AssignCompiler.wide(range.base) & mask == AssignCompiler.wide(client) & mask
            }
        }
    }

    /// Reads every fact that the model mentions, also those that the hot step may leave unread.
    private func facts(
        of model: ModelPlan, index: ModelIndex, _ head: RequestHead, _ bytes: [UInt8], caller: Caller
    ) -> Facts {
        let names = FactNames(model)
        let entry = table.models + index
        let values = bytes.withUnsafeBytes { raw -> [Int: [UInt8]] in
            guard let base = raw.baseAddress else { return [:] }
            table.gather(entry, head: head, fields: parser, base: base, isTrusted: true)
            table.noteCookies(parser, entry, base: base)
            table.noteParameters(head.query, entry, base: base)
            var values: [Int: [UInt8]] = [:]
            for slot in 0..<names.count {
                guard let value = table.scratch.value(of: UInt16(slot), base: base) else { continue }
                values[slot] = Array(UnsafeRawBufferPointer(start: value.base, count: value.count))
            }
            return values
        }
        return Facts(names: names, values: values, client: caller.client)
    }
}
