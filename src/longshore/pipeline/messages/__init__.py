"""What the controller and the movers tell each other, and what stands in the journal.

    controller ── WorkOrder(kind, plan, payload) ──> mover
               <── ScanReply | CopyReply | FolderReply | CleanReply ──

The controller never looks into a payload: it stores and forwards bytes. It does read the replies,
because their records go into the database. Everything is msgpack, arrays without field names.
"""
