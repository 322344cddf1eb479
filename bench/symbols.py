"""What the hot functions call: a disassembly of the release binary must show no reference counting, no
allocation and no indirect call (a witness, an existential or a closure) in any function of the request path.
"""

import re
import subprocess

# Functions on the path of a request that succeeds, by the start of their mangled names. One that the
# optimiser has inlined everywhere is not in the binary, and its code is checked where it went.
CORE = """
turn downstreamReady readDownstream downstreamRead takeHead begin notePath startEvidence refillRetries
dispatch place enter leave pickEndpoint isUsable judge takeIdle enlist delist keepIdle composeRequest
writeRequest writeRequestFields writeAddress writeID writeStamp relayRequest relayChunks emit record
mayBeSentAgain sendUpstream requestComplete requestSent armUpstream armDownstream upstreamReady
readUpstream upstreamRead takeResponse beginResponse decideFraming composeResponse relayResponse
relayResponseChunks forward sendDownstream responseComplete settle releaseUpstream finish end measure
log resume resumeAll startShadow tee openShadow shadowRead discard settleShadow freeShadow
""".split()
HOT = [rf"\$s5Proxy4CoreC{len(name)}{name}(?![a-z])" for name in CORE] + [
    r"\$s5Proxy11AssignTableV(5route|6assign|6caller|4draw|7keyHash|10rendezvous|6gather)",
    r"\$s5Proxy11AssignTableV11firstCohort",
    r"\$s4Wire10HeadParserV(7request|8response|11requestHead|12responseHead|10fieldLines)",
    r"\$s4Wire14ChunkedDecoderV(4next|4line)",
    r"\$s4Wire10HeadWriterV6append",
    r"\$s7Metrics9HistogramV6record",
    r"\$s7Metrics12EvidenceRingV(5start|6settle)",
    r"\$s8Platform9ByteQueueV(6append|5clear|7copyOut)",
    r"\$s8Platform10TimerWheelV(8schedule|7advance|10popExpired)",
    r"\$s8Platform10DescriptorV(7receive|4send)",
]
# A function that takes a plan over counts references: what the check must find, or it is blind.
SAMPLE = r"\$s5Proxy4CoreC12takeCommands"
FORBIDDEN = re.compile(
    r"swift_(retain|release|alloc|bridgeObject|initStack|project|dynamicCast|getGeneric|getTypeBy|once)"
    r"|\bmalloc|\bcalloc|\brealloc|posix_memalign"
)
CALL = re.compile(r"\b(call|jmp)q?\s+(?:[0-9a-f]+ <([^>+]+)[^>]*>|(\*\S+))")


def offences(binary: str, patterns: list) -> tuple:
    """How many functions match, and the forbidden calls of each that has some."""
    wanted = re.compile("|".join(patterns))
    listing = subprocess.Popen(
        ["objdump", "--disassemble", "--no-show-raw-insn", binary], stdout=subprocess.PIPE, text=True
    )
    seen, found, current = 0, {}, None
    for line in listing.stdout:
        if line.endswith(">:\n"):
            name = line[line.index("<") + 1 : -3]
            current = name if wanted.match(name) else None
            seen += current is not None
        elif current:
            match = CALL.search(line)
            if not match:
                continue
            # An indirect jump is a switch; an indirect call is somebody's witness.
            target = match[2] or (match[3] if match[1] == "call" else "")
            if match[3] and match[1] == "call" or FORBIDDEN.search(target):
                found.setdefault(current, []).append(target)
    if listing.wait():
        raise RuntimeError("objdump failed")
    return seen, found


def check(binary: str) -> list:
    """What is wrong, a line each; empty when nothing is."""
    seen, found = offences(binary, [*HOT, SAMPLE])
    guilty = {name for name in found if re.match(SAMPLE, name)}
    wrong = [f"{name} calls {', '.join(sorted(set(found[name])))}" for name in found if name not in guilty]
    if not guilty:
        wrong.append("the check found nothing in the sample that counts references: it is blind")
    if seen < 60:
        wrong.append(f"only {seen} of the hot functions are in the binary: their names have changed")
    return wrong
