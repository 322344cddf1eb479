// Objects of Kubernetes, changed through the API server with the pod's service account: any object by a
// patch, a Rollout of Argo Rollouts by the patches that its own command line sends.
//
// Token and CA are read at every attempt, because the kubelet replaces them while the pod runs. Every patch
// of ours sets what it wants and adds nothing, so that doing it twice is doing it once.
// Source: the Kubernetes API conventions on PATCH and on accessing the API from a pod; kubectl-argo-rollouts
// abort and promote --full.

import Calls
import Config
import Control
import Glibc
import Payload
import Platform

/// A patch of one object.
struct KubernetesPatch {
    let config: KubernetesConfig

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        KubernetesAPI.with(config.access, context) { api throws(KubernetesStop) in
            let path = api.path(config.api, config.resource, config.object)
            let target = path + (config.subresource.map { "/" + $0 } ?? "")
            _ = try api.patch(target, config.form.contentType, config.patch)
            return .done("\(config.resource)/\(config.object) was patched")
        }
    }
}

/// A Rollout of Argo Rollouts.
struct ArgoRollout {
    let config: ArgoConfig

    private static let merge = KubernetesConfig.Form.merge.contentType

    func attempt(_ notice: Notice, _ context: AttemptContext) -> AttemptOutcome {
        KubernetesAPI.with(config.access, context) { api throws(KubernetesStop) in
            let path = api.path("argoproj.io/v1alpha1", "rollouts", config.rollout)
            switch notice.kind {
            case .cut:
                try setStatus(api, path, ["abort": true])
                return .done("rollout \(config.rollout) is aborted")
            case .promote:
                return try promote(api, path)
            case .hold, .recovery, .alert, .start, .stage, .sampleRatio, .unserved, .served:
                return .done("the rollout does not change")
            }
        }
    }

    /// Past all steps, pauses and analyses. One that runs its stable version already has nothing to promote.
    private func promote(_ api: KubernetesAPI, _ path: String) throws(KubernetesStop) -> AttemptOutcome {
        let object = try api.get(path)
        let (current, stable) = (object["status"]?["currentPodHash"], object["status"]?["stableRS"])
        let isDone = current?.string != nil && current == stable
        if !isDone { try setStatus(api, path, ["promoteFull": true]) }
        if object["spec"]?["paused"]?.bool == true {
            _ = try api.patch(path, Self.merge, ["spec": ["paused": false]])
        }
        return .done("rollout \(config.rollout) is \(isDone ? "promoted already" : "promoted")")
    }

    /// Through the status subresource; where an old definition has none, through the object.
    private func setStatus(_ api: KubernetesAPI, _ path: String, _ status: JSON) throws(KubernetesStop) {
        let body: JSON = ["status": status]
        do throws(KubernetesStop) {
            _ = try api.patch(path + "/status", Self.merge, body)
        } catch {
            guard error.status == 404 else { throw error }
            _ = try api.patch(path, Self.merge, body)
        }
    }
}

/// Ends an attempt early.
struct KubernetesStop: Error {
    var outcome: AttemptOutcome
    /// Of the answer, when there was one.
    var status: Int?
}

/// The API server as one attempt sees it.
struct KubernetesAPI {
    private let url: HTTPURL
    private let namespace: String
    private let token: String
    private let client: HTTPClient

    /// Where the kubelet puts a pod's identity.
    static let accountFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

    static func with(
        _ access: KubernetesAccess, _ context: AttemptContext,
        _ body: (KubernetesAPI) throws(KubernetesStop) -> AttemptOutcome
    ) -> AttemptOutcome {
        do throws(KubernetesStop) {
            return try body(try KubernetesAPI(access, context))
        } catch {
            return error.outcome
        }
    }

    private init(_ access: KubernetesAccess, _ context: AttemptContext) throws(KubernetesStop) {
        func secret(_ path: String) throws(KubernetesStop) -> String {
            switch SecretFile.read(path) {
            case .success(let text): return text
            case .failure(let problem): throw KubernetesStop(outcome: .failed(problem.reason))
            }
        }
        guard let url = access.url ?? Self.fromPod else {
            throw KubernetesStop(
                outcome: .refused(
                    "no API server is known: this is no pod (KUBERNETES_SERVICE_HOST is not set), and the "
                        + "action has no url"))
        }
        self.url = url
        token = try secret(access.tokenFile ?? Self.accountFolder + "/token")
        if let given = access.namespace {
            namespace = given
        } else {
            namespace = try secret(Self.accountFolder + "/namespace")
        }
        var client = HTTPClient()
        client.answerWithin = access.timeout
        client.caFile = access.caFile ?? (access.url == nil ? Self.accountFolder + "/ca.crt" : nil)
        // Objects are answered whole; the largest that etcd takes has 1.5 MiB.
        client.bodyBytesMax = 4 << 20
        client.isCancelled = context.isCancelled
        self.client = client
    }

    /// As the kubelet tells every container.
    private static var fromPod: HTTPURL? {
        guard let host = getenv("KUBERNETES_SERVICE_HOST").map({ String(cString: $0) }) else { return nil }
        let port = getenv("KUBERNETES_SERVICE_PORT").map { String(cString: $0) } ?? "443"
        return try? HTTPURL("https://\(host.contains(":") ? "[\(host)]" : host):\(port)")
    }

    /// The path of an object in the namespace; `api` as `apps/v1`, or `v1` for the core group.
    func path(_ api: String, _ resource: String, _ name: String) -> String {
        let group = api.contains("/") ? "apis" : "api"
        let parts = api.split(separator: "/").map { HTTPURL.escaped(String($0)) }.joined(separator: "/")
        return "/\(group)/\(parts)/namespaces/\(HTTPURL.escaped(namespace))/\(HTTPURL.escaped(resource))/"
            + HTTPURL.escaped(name)
    }

    func get(_ path: String) throws(KubernetesStop) -> JSON { try call(.get, path, nil, nil) }

    func patch(_ path: String, _ contentType: String, _ patch: JSON) throws(KubernetesStop) -> JSON {
        try call(.patch, path, contentType, patch)
    }

    private func call(
        _ method: HTTPRequest.Method, _ path: String, _ contentType: String?, _ body: JSON?
    ) throws(KubernetesStop) -> JSON {
        var request = HTTPRequest(
            method, url.appending(path),
            fields: [("authorization", "Bearer \(token)"), ("accept", "application/json")],
            body: body.map { Array($0.text.utf8) } ?? [])
        if let contentType { request.fields.append(("content-type", contentType)) }
        let answer: HTTPAnswer
        do throws(HTTPFailure) {
            answer = try client.send(request)
        } catch {
            throw KubernetesStop(outcome: AttemptOutcome(error))
        }
        guard answer.isSuccess else {
            throw KubernetesStop(
                outcome: AttemptOutcome(answer, from: url.origin), status: answer.status)
        }
        return answer.json ?? .null
    }
}
