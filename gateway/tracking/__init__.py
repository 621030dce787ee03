"""The targets' way in: connections to electronic targets, and shots that devices post.

`gateway.tracking.tracking.Tracking` is all that the rest of the gateway needs:

    tracking = Tracking(dsn=…, pool=…, boot=…, producer=…, ring=…, targets=booking.views.lanes.targets,
                        journal=Journal(home / "tracking" / "frames", home / "tracking" / "journal.key"))
    await tracking.run(stopping)                  one task a target, for as long as the gateway runs
    await tracking.push(body, device, lane)       for POST /v1/devices/{device}/shots -> push.PushResult
    tracking.status()                             how it stands with each target

A body for `push` is one of two:

- what a freETarget posts by itself (REMOTE_URL): its frame, with its usual mistakes. The epoch is found out
  (see `epochs`), so that the same shot by TCP and by HTTP is one shot;
- shots in our form (`push.PushedShots`): {"shots": [{"epoch": "boot-17", "number": 1, "kind": "match", "miss": false,
  "x_um": -390, "y_um": -2770, "elapsed_ms": 12345, "face": "air-rifle-10m"}, …]}, at most 500; epoch and number are
  the device's own, the rest but they may be left out.

Other makers' machines are heard by `sources/` (a transport each) and read by `makers/` (a pure adapter each); which of
them a lane has says its address (`address`).

The way of a shot: bytes -> `frames.Scanner` -> `shots.understand` -> `spool.Spool` (first onto the disk, encrypted, by
`journal.Journal`; then in order) -> `recorder.Recorder` (batches; `epochs` gives the identity) -> bus.record_shots.
"""
