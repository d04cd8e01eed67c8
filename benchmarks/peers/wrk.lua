-- What wrk says at its end, as one line of JSON; microseconds become seconds.
done = function(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "bytes": %d, "seconds": %.6f, "rate": %.3f, "p50": %.9f, "p99": %.9f, "errors": %d}\n',
        summary.requests, summary.bytes, summary.duration / 1e6, summary.requests / (summary.duration / 1e6),
        latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
