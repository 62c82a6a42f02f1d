//! The tables of an installation of several processes, and the functions that change them.
//!
//! Each function is one transaction and one round trip. A client that is stopped in the middle holds no locks. All
//! functions lock rows in this order: nodes, fences, modules, groups.

/// Creates what is missing.
///
/// - `nexum_node`: the lease of each node. `epoch` is that of its last join. `expires` is `-infinity` after it has left or was
///   declared dead, which happened at `gone_at`. `loaded` has the version of each module that the node can run.
/// - `nexum_group`: the groups of modules that run together, each with its node, and with a number that grows with
///   each change. `wanted` is the node that an operator has chosen. A group is one module.
/// - `nexum_module`: the group of each module, and the version that the installation runs. `together` has the names of
///   what only one node may use at a time: two modules with a name in common never run on two nodes.
/// - `nexum_history`: the changes of groups.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS nexum_node (
    node text PRIMARY KEY, number integer GENERATED ALWAYS AS IDENTITY, epoch bigint NOT NULL DEFAULT 0,
    expires timestamptz NOT NULL DEFAULT '-infinity', address text, version text, weight integer NOT NULL DEFAULT 1,
    draining boolean NOT NULL DEFAULT false, loaded jsonb NOT NULL DEFAULT '{}'
);

ALTER TABLE nexum_node ADD COLUMN IF NOT EXISTS gone_at timestamptz;

CREATE TABLE IF NOT EXISTS nexum_group (
    grp text PRIMARY KEY, node text, epoch bigint NOT NULL DEFAULT 0,
    since timestamptz NOT NULL DEFAULT clock_timestamp(), wanted text
);

CREATE TABLE IF NOT EXISTS nexum_module (
    name text PRIMARY KEY, grp text NOT NULL, version text NOT NULL, chains bigint[] NOT NULL
);

ALTER TABLE nexum_module ADD COLUMN IF NOT EXISTS together text[] NOT NULL DEFAULT '{}';

CREATE TABLE IF NOT EXISTS nexum_history (
    at timestamptz NOT NULL DEFAULT clock_timestamp(), grp text NOT NULL, from_node text, to_node text,
    epoch bigint NOT NULL, why text NOT NULL
);

CREATE INDEX IF NOT EXISTS nexum_history_at ON nexum_history (at);
";

/// Creates the functions.
///
/// - `nexum_free`: takes all groups from a node.
/// - `nexum_alone`: ends the rights of all nodes, for a process that is the only one. Fails while a lease has not
///   ended. The error's message has the names of these nodes, and its detail the milliseconds until the last lease ends.
/// - `nexum_forget`: removes the history of 90 days ago, the nodes that have been gone for 30 days, and the modules that
///   no node has had for 30 days. Fence rows and groups stay, so that their numbers go on.
/// - `nexum_join`: begins a membership, and ends the node's earlier one. Returns no epoch while the earlier one may
///   live on, and `certain` is false.
/// - `nexum_bury`: declares a node dead. Returns false if it has renewed its lease since `seen`, in microseconds.
/// - `nexum_leave`: ends the node's own membership.
/// - `nexum_offer`: adds modules that the installation does not know.
/// - `nexum_version`: changes the versions of modules. A change without `from` changes any version.
/// - `nexum_claim`: takes free groups for a node, and returns them with the seconds in which no node had them. Leaves a
///   module free while another node has a module with which it shares a name of `together`. The locks on the modules
///   that share a name make two claims wait for each other.
/// - `nexum_release`: gives up groups of a node.
///
/// `nexum_join`, `nexum_bury` and `nexum_alone` wait for commits in progress, because these hold locks on the fence
/// rows. Afterwards no commit of an ended membership happens.
pub(super) const FUNCTIONS: &str = "
CREATE OR REPLACE FUNCTION nexum_free(gone text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH owned AS (
        SELECT grp FROM nexum_group WHERE node = gone ORDER BY grp FOR UPDATE
    ), freed AS (
        UPDATE nexum_group g SET node = NULL, epoch = epoch + 1, since = clock_timestamp()
            FROM owned WHERE g.grp = owned.grp RETURNING g.grp, g.epoch
    )
    INSERT INTO nexum_history (grp, from_node, epoch, why) SELECT grp, gone, epoch, reason FROM freed;
    PERFORM pg_notify('nexum', current_schema());
END
$$;

CREATE OR REPLACE FUNCTION nexum_alone(writer text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE ended text; live text; last timestamptz;
BEGIN
    PERFORM 1 FROM nexum_node ORDER BY node FOR UPDATE;
    SELECT string_agg(node, ', ' ORDER BY node), max(expires) INTO live, last
        FROM nexum_node WHERE expires > clock_timestamp();
    IF live IS NOT NULL THEN
        RAISE EXCEPTION '%', live USING ERRCODE = 'NX003',
            DETAIL = (extract(epoch FROM last - clock_timestamp()) * 1000)::bigint;
    END IF;
    FOR ended IN UPDATE nexum_node SET expires = '-infinity', gone_at = clock_timestamp()
        WHERE expires > '-infinity' RETURNING node
    LOOP
        UPDATE nexum_fence SET epoch = epoch + 1, holder = NULL WHERE node = ended AND node <> writer;
        PERFORM nexum_free(ended, 'a process without [cluster] has opened the state');
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION nexum_forget() RETURNS void LANGUAGE plpgsql AS $$
DECLARE old timestamptz := clock_timestamp() - interval '30 days';
BEGIN
    DELETE FROM nexum_history WHERE at < clock_timestamp() - interval '90 days';
    DELETE FROM nexum_node WHERE node IN (SELECT node FROM nexum_node WHERE gone_at < old FOR UPDATE SKIP LOCKED);
    DELETE FROM nexum_module m USING nexum_group g WHERE g.grp = m.grp AND g.node IS NULL AND g.since < old
        AND NOT EXISTS (SELECT FROM nexum_node n WHERE jsonb_exists(n.loaded, m.name));
    UPDATE nexum_group g SET wanted = NULL WHERE g.wanted IS NOT NULL AND (
        NOT EXISTS (SELECT FROM nexum_node n WHERE n.node = g.wanted)
        OR NOT EXISTS (SELECT FROM nexum_module m WHERE m.grp = g.grp)
    );
END
$$;

CREATE OR REPLACE FUNCTION nexum_join(
    joins text, new_holder text, certain boolean, ttl_ms bigint, at text, program text, part integer, offered text,
    single text
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE joined bigint;
BEGIN
    PERFORM 1 FROM nexum_node WHERE node = joins AND (certain OR expires < clock_timestamp()) FOR UPDATE;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    UPDATE nexum_fence SET epoch = epoch + 1, holder = NULL WHERE node = single AND holder IS NOT NULL;
    INSERT INTO nexum_fence (node, epoch, holder) VALUES (joins, 1, new_holder)
        ON CONFLICT (node) DO UPDATE SET epoch = nexum_fence.epoch + 1, holder = new_holder RETURNING epoch INTO joined;
    PERFORM nexum_free(joins, 'the node has joined again');
    UPDATE nexum_node SET epoch = joined, expires = clock_timestamp() + ttl_ms * interval '1 millisecond',
        gone_at = NULL, address = at, version = program, weight = part, loaded = offered::jsonb WHERE node = joins;
    PERFORM nexum_forget();
    RETURN joined;
END
$$;

CREATE OR REPLACE FUNCTION nexum_bury(gone text, gone_epoch bigint, seen bigint, reason text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE nexum_node SET expires = '-infinity', gone_at = clock_timestamp()
        WHERE node = gone AND epoch = gone_epoch AND expires > '-infinity'
        AND (expires < clock_timestamp() OR (extract(epoch FROM expires) * 1000000)::bigint = seen);
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE nexum_fence SET epoch = epoch + 1, holder = NULL WHERE node = gone;
    PERFORM nexum_free(gone, reason);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION nexum_leave(leaves text, its_holder text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM nexum_node WHERE node = leaves FOR UPDATE;
    UPDATE nexum_fence SET epoch = epoch + 1, holder = NULL WHERE node = leaves AND holder = its_holder;
    IF FOUND THEN
        UPDATE nexum_node SET expires = '-infinity', gone_at = clock_timestamp() WHERE node = leaves;
        PERFORM nexum_free(leaves, 'the node has left');
    END IF;
END
$$;

CREATE OR REPLACE FUNCTION nexum_offer(offered text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO nexum_module (name, grp, version, chains, together)
        SELECT key, key, value ->> 'version', ARRAY(SELECT jsonb_array_elements_text(value -> 'chains')::bigint),
            ARRAY(SELECT jsonb_array_elements_text(value -> 'together'))
            FROM jsonb_each(offered::jsonb) ORDER BY key ON CONFLICT DO NOTHING;
    INSERT INTO nexum_group (grp) SELECT jsonb_object_keys(offered::jsonb) ORDER BY 1 ON CONFLICT DO NOTHING;
    PERFORM pg_notify('nexum', current_schema());
END
$$;

CREATE OR REPLACE FUNCTION nexum_version(of_node text, changes text, reason text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH changed AS (
        UPDATE nexum_module m SET version = value ->> 'version',
            chains = ARRAY(SELECT jsonb_array_elements_text(value -> 'chains')::bigint),
            together = ARRAY(SELECT jsonb_array_elements_text(value -> 'together'))
            FROM jsonb_each(changes::jsonb)
            WHERE m.name = key AND m.version = coalesce(value ->> 'from', m.version) AND m.version <> value ->> 'version'
            RETURNING m.grp, m.name, m.version
    )
    INSERT INTO nexum_history (grp, from_node, to_node, epoch, why)
        SELECT g.grp, g.node, g.node, g.epoch, 'version ' || c.version || ' of ' || c.name || ', from ' || of_node || ': ' || reason
            FROM changed c JOIN nexum_group g USING (grp);
    PERFORM pg_notify('nexum', current_schema());
END
$$;

CREATE OR REPLACE FUNCTION nexum_claim(claims text, its_holder text, requested text[], reason text)
RETURNS TABLE (taken text, taken_epoch bigint, waited float8) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM nexum_fence WHERE node = claims AND holder = its_holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the membership of node % has ended', claims USING ERRCODE = 'NX001';
    END IF;
    PERFORM 1 FROM nexum_module m WHERE m.together && ARRAY(
        SELECT unnest(r.together) FROM nexum_module r WHERE r.grp = ANY (requested)
    ) ORDER BY m.name FOR UPDATE OF m;
    RETURN QUERY WITH free AS (
        SELECT g.grp, g.since FROM nexum_group g
            WHERE g.grp = ANY (requested) AND g.node IS NULL AND NOT EXISTS (
                SELECT FROM nexum_module m JOIN nexum_module o ON o.together && m.together
                    JOIN nexum_group h ON h.grp = o.grp
                    WHERE m.grp = g.grp AND h.node <> claims
            ) ORDER BY g.grp FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE nexum_group g SET node = claims, epoch = g.epoch + 1, since = clock_timestamp()
            FROM free WHERE g.grp = free.grp
            RETURNING g.grp, g.epoch, extract(epoch FROM clock_timestamp() - free.since)::float8 AS waited
    ), noted AS (
        INSERT INTO nexum_history (grp, to_node, epoch, why) SELECT c.grp, claims, c.epoch, reason FROM claimed c
    )
    SELECT c.grp, c.epoch, c.waited FROM claimed c;
END
$$;

CREATE OR REPLACE FUNCTION nexum_release(releases text, its_holder text, groups text[], reasons text[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM nexum_fence WHERE node = releases AND holder = its_holder FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the membership of node % has ended', releases USING ERRCODE = 'NX001';
    END IF;
    WITH owned AS (
        SELECT g.grp, u.reason FROM nexum_group g JOIN unnest(groups, reasons) AS u (grp, reason) USING (grp)
            WHERE g.node = releases ORDER BY g.grp FOR UPDATE OF g
    ), freed AS (
        UPDATE nexum_group g SET node = NULL, epoch = g.epoch + 1, since = clock_timestamp()
            FROM owned WHERE g.grp = owned.grp RETURNING g.grp, g.epoch, owned.reason
    )
    INSERT INTO nexum_history (grp, from_node, epoch, why) SELECT grp, releases, epoch, reason FROM freed;
    PERFORM pg_notify('nexum', current_schema());
END
$$;
";
