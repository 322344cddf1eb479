// What a model takes and gives, as the V2 inference protocol's metadata says it, and whether a candidate can
// stand in for stable: clients send to both what they send to one.
// Source: Open Inference Protocol, model metadata; a dimension of -1 may be anything.

import Payload

/// Inputs and outputs of a model.
struct ModelSignature: Equatable {
    struct Tensor: Equatable {
        var name: String
        var datatype: String
        var shape: [Int64]
    }

    var inputs: [Tensor]
    var outputs: [Tensor]

    /// Reads `GET /v2/models/NAME`; nil when that is no metadata.
    init?(_ metadata: JSON) {
        guard let inputs = metadata["inputs"].flatMap(Self.tensors),
            let outputs = metadata["outputs"].flatMap(Self.tensors)
        else { return nil }
        self.inputs = inputs
        self.outputs = outputs
    }

    private static func tensors(_ value: JSON) -> [Tensor]? {
        guard case .array(let items) = value else { return nil }
        let tensors = items.compactMap { item -> Tensor? in
            guard let name = item["name"]?.string, let datatype = item["datatype"]?.string else { return nil }
            guard case .array(let shape)? = item["shape"] else {
                return Tensor(name: name, datatype: datatype, shape: [])
            }
            return Tensor(name: name, datatype: datatype, shape: shape.compactMap(\.integer))
        }
        return tensors.count == items.count ? tensors : nil
    }

    /// Why a candidate with this signature cannot stand in for `stable`, as a sentence; nil when it can. It
    /// takes exactly stable's inputs and gives at least stable's outputs.
    func objection(asReplacementOf stable: ModelSignature) -> String? {
        for theirs in stable.inputs {
            guard let ours = inputs.first(where: { $0.name == theirs.name }) else {
                return "stable takes the input \(theirs.shownName), the candidate does not"
            }
            if let problem = ours.difference(from: theirs) { return "input \(theirs.shownName): \(problem)" }
        }
        for ours in inputs where !stable.inputs.contains(where: { $0.name == ours.name }) {
            return "the candidate wants the input \(ours.shownName), which stable does not take"
        }
        for theirs in stable.outputs {
            guard let ours = outputs.first(where: { $0.name == theirs.name }) else {
                return "stable gives the output \(theirs.shownName), the candidate does not"
            }
            if let problem = ours.difference(from: theirs) { return "output \(theirs.shownName): \(problem)" }
        }
        return nil
    }
}

extension ModelSignature.Tensor {
    /// The server's words as a part of a sentence.
    private static func shown(_ text: String) -> String { ForeignText.line(text, bytesMax: 128) }

    fileprivate var shownName: String { Self.shown(name) }

    fileprivate func difference(from stable: ModelSignature.Tensor) -> String? {
        if datatype != stable.datatype {
            return "\(Self.shown(datatype)) where stable has \(Self.shown(stable.datatype))"
        }
        let fits =
            shape.count == stable.shape.count
            && zip(shape, stable.shape).allSatisfy { $0 == $1 || $0 == -1 || $1 == -1 }
        return fits
            ? nil : "shape \(Self.shown("\(shape)")) where stable has \(Self.shown("\(stable.shape)"))"
    }
}
