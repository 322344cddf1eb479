// One round of checks of one candidate, blocking, on the preflight's thread. What servers answer decides; a
// server that does not answer decides nothing, and the rollout waits.
//
//   identity      every endpoint of both versions says that it is what the config calls it
//   signatures    the candidate takes and gives what stable does
//   warm-up       every endpoint of the candidate has answered its requests; once per process and attempt
//
// Invariant: `.failed` only on an answer that proves it; silence, refusals and 5xx are `.unknown`.

import Calls
import Config
import Control
import Payload
import Platform
import Rollout

struct PreflightCheck {
    let target: PreflightTarget
    var client: HTTPClient

    init(_ target: PreflightTarget, isCancelled: @escaping @Sendable () -> Bool) {
        self.target = target
        client = HTTPClient()
        client.connectWithin = target.config.timeout
        client.answerWithin = target.config.timeout
        client.isCancelled = isCancelled
    }

    /// What ended a round before it passed.
    private struct Finding: Error {
        var reading: PreflightReading
        var reason: String

        static func failed(_ reason: String) -> Finding { Finding(reading: .failed(reason), reason: reason) }
        static func unknown(_ reason: String) -> Finding { Finding(reading: .unknown, reason: reason) }
    }

    /// Runs the checks; the warm-up only where it `isCold`.
    func run(isCold: Bool) -> PreflightReport {
        do throws(Finding) {
            try checkIdentity(of: target.candidate, isCandidate: true)
            try checkIdentity(of: target.stable, isCandidate: false)
            try checkSignatures()
            if isCold { try warmUp() }
            return report(.passed, "everything that was asked for is right")
        } catch {
            return report(error.reading, error.reason)
        }
    }

    private func report(_ reading: PreflightReading, _ reason: String) -> PreflightReport {
        PreflightReport(
            model: target.model, candidate: target.candidate.name, reading: reading, reason: reason)
    }

    // MARK: Identity

    private func checkIdentity(of version: PreflightVersion, isCandidate: Bool) throws(Finding) {
        guard let identity = target.config.identity else { return }
        let path = identity.target.replacing("{version}", with: HTTPURL.escaped(version.identity))
        for endpoint in version.endpoints {
            if case .path(let model) = identity.source {
                try checkPath(path, model, of: version, endpoint, isCandidate: isCandidate)
                continue
            }
            let answer = try get(path, version, endpoint)
            let said = identity.source.identities(in: answer)
            if said.contains(version.identity) { continue }
            let heard =
                said.isEmpty
                ? "names no version"
                : "says it is "
                    + said.prefix(3).map { ForeignText.line($0, bytesMax: 128) }.joined(separator: ", ")
            throw refuted(
                "\(version.name) at \(endpoint) \(heard); expected \(version.identity)"
                    + " (GET \(path), \(identity.source.text))", isCandidate)
        }
    }

    /// A server that has a path for each version that it serves: 404 there, while the model itself is ready,
    /// is another version's answer.
    private func checkPath(
        _ path: String, _ model: String, of version: PreflightVersion, _ endpoint: SocketAddress,
        isCandidate: Bool
    ) throws(Finding) {
        let answer = try call(WarmUpRequest(path: path), version, endpoint)
        if answer.isSuccess { return }
        let sentence = "\(version.name) at \(endpoint) answers GET \(path) with \(answer.status)"
        guard answer.status == 404, try call(WarmUpRequest(path: model), version, endpoint).isSuccess else {
            throw .unknown(sentence)
        }
        throw refuted(
            "\(sentence), and GET \(model) with success: it serves another version than"
                + " \(version.identity)", isCandidate)
    }

    /// Nothing can be cut for a stable version that is not what it claims; but nobody moves from it.
    private func refuted(_ sentence: String, _ isCandidate: Bool) -> Finding {
        isCandidate ? .failed(sentence) : .unknown(sentence)
    }

    // MARK: Signatures

    private func checkSignatures() throws(Finding) {
        guard let model = target.config.signatureModel, !target.config.allowsSignatureChange else { return }
        let stable = try signature(of: target.stable, model)
        for endpoint in target.candidate.endpoints {
            let ours = try signature(of: target.candidate, at: endpoint, model)
            if let objection = ours.objection(asReplacementOf: stable) {
                throw .failed(
                    "\(target.candidate.name) cannot stand in for \(target.stable.name): \(objection)"
                        + " (signatures.allow_change lets it)")
            }
        }
    }

    /// Of the first endpoint that answers.
    private func signature(of version: PreflightVersion, _ model: String) throws(Finding) -> ModelSignature {
        var last = Finding.unknown("\(version.name) has no endpoint")
        for endpoint in version.endpoints {
            do throws(Finding) {
                return try signature(of: version, at: endpoint, model)
            } catch {
                last = error
            }
        }
        throw last
    }

    private func signature(
        of version: PreflightVersion, at endpoint: SocketAddress, _ model: String
    ) throws(Finding) -> ModelSignature {
        let answer = try get("/v2/models/\(HTTPURL.escaped(model))", version, endpoint)
        guard let signature = answer.json.flatMap(ModelSignature.init) else {
            throw .unknown("\(version.name) at \(endpoint) gives no metadata of \(model)")
        }
        return signature
    }

    // MARK: Warm-up

    private func warmUp() throws(Finding) {
        guard let warmUp = target.config.warmUp else { return }
        let requests: [WarmUpRequest]
        do throws(WarmUpProblem) {
            requests = try WarmUpRequest.load(warmUp.file)
        } catch {
            throw .unknown("the candidate is cold: \(error.sentence)")
        }
        for endpoint in target.candidate.endpoints {
            var succeeded = 0
            var last = ""
            for i in 0..<warmUp.requests {
                let request = requests[i % requests.count]
                do throws(Finding) {
                    let answer = try call(request, target.candidate, endpoint)
                    if answer.status < 400 { succeeded += 1 } else { last = "\(answer.status)" }
                } catch {
                    last = error.reason
                }
                if client.isCancelled() { throw .unknown("the warm-up was stopped") }
            }
            let needed = (warmUp.requests * Int(warmUp.successPPM) + 999_999) / 1_000_000
            if succeeded < needed {
                throw .unknown(
                    "\(target.candidate.name) at \(endpoint) answered \(succeeded) of \(warmUp.requests)"
                        + " warm-up requests, \(needed) are needed; the last failure: \(last)")
            }
        }
    }

    // MARK: Calls

    /// A GET that is answered with 2xx.
    private func get(
        _ path: String, _ version: PreflightVersion, _ endpoint: SocketAddress
    ) throws(Finding) -> HTTPAnswer {
        let answer = try call(WarmUpRequest(path: path), version, endpoint)
        guard answer.isSuccess else {
            throw .unknown("\(version.name) at \(endpoint) answers \(path) with \(answer.status)")
        }
        return answer
    }

    private func call(
        _ request: WarmUpRequest, _ version: PreflightVersion, _ endpoint: SocketAddress
    ) throws(Finding) -> HTTPAnswer {
        var client = client
        client.address = endpoint
        guard let url = try? HTTPURL("http://\(version.host ?? endpoint.hostText)\(request.path)") else {
            throw .unknown("\(request.path) is no path that can be asked for")
        }
        do throws(HTTPFailure) {
            return try client.send(
                HTTPRequest(request.method, url, fields: request.fields, body: request.body))
        } catch {
            throw .unknown("\(version.name) at \(endpoint): \(error)")
        }
    }
}

extension IdentityConfig.Source {
    /// Where in an answer it looks.
    var text: String {
        switch self {
        case .header(let name): "header \(name)"
        case .json(let path): "member \(path)"
        case .path: "status"
        }
    }

    /// Every identity that an answer names.
    func identities(in answer: HTTPAnswer) -> [String] {
        switch self {
        case .header(let name): return answer.field(name).map { [$0] } ?? []
        case .path: return []
        case .json(let path):
            return answer.json.map { $0.values(at: path.steps[...]).compactMap(\.identity) } ?? []
        }
    }
}

extension JSON {
    /// Every value at a path.
    func values(at steps: ArraySlice<JSONPath.Step>) -> [JSON] {
        guard let step = steps.first else { return [self] }
        let rest = steps.dropFirst()
        switch (step, self) {
        case (.member(let name), .object):
            return self[String(decoding: name, as: UTF8.self)].map { $0.values(at: rest) } ?? []
        case (.index(let i), .array): return self[i].map { $0.values(at: rest) } ?? []
        case (.every, .array(let items)): return items.flatMap { $0.values(at: rest) }
        case (.every, .object(let members)): return members.flatMap { $0.value.values(at: rest) }
        case (.member, _), (.index, _), (.every, _): return []
        }
    }

    /// A text, or a whole number as text.
    fileprivate var identity: String? { string ?? integer.map(String.init) }
}
