"""What breakers do in Redis, each as one step for all processes: admit, record, standing, reset.

A breaker is one hash:

    s<n>              the window's slots: "bucket ok failed retries"; a bucket is a twelfth of the window
    until, openings   not closed: open until then (microseconds), opened so often in a row
    opened            when the first of these openings was
    next              when the last retry that was refused for want of budget is to come back
    lease             until when the probe's permit holds
    since             calls that began before it say nothing any more: last opening, probe, closing or reset
    by, at, both      on a provider's breaker: which account failed last and when; when accounts last failed in turn
    tried             on a provider's breaker: the account whose probe failed
"""

from apps.reliability.scripts import Script

SLOTS = 12  # the window moves on by a twelfth of itself

_WINDOW = f"""
local slots = {SLOTS}
local function fields(key)
    local found, known = redis.call('HGETALL', key), {{}}
    for at = 1, #found, 2 do known[found[at]] = found[at + 1] end
    return known
end
local function slot_of(known, slot)
    local bucket, ok, failed, retries = string.match(known['s' .. slot] or '', '(%d+) (%d+) (%d+) (%d+)')
    return tonumber(bucket), tonumber(ok), tonumber(failed), tonumber(retries)
end
local function window(known, length)
    local bucket, sums = math.floor(now / length), {{ok = 0, failed = 0, retries = 0}}
    for slot = 0, slots - 1 do
        local of, ok, failed, retries = slot_of(known, slot)
        if of and of > bucket - slots and of <= bucket then
            sums.ok, sums.failed, sums.retries = sums.ok + ok, sums.failed + failed, sums.retries + retries
        end
    end
    return sums
end
local function count(key, known, length, ok, failed, retries)
    local bucket = math.floor(now / length)
    local slot = bucket % slots
    local of, had_ok, had_failed, had_retries = slot_of(known, slot)
    if of == bucket then ok, failed, retries = ok + had_ok, failed + had_failed, retries + had_retries end
    known['s' .. slot] = string.format('%.0f %.0f %.0f %.0f', bucket, ok, failed, retries)
    redis.call('HSET', key, 's' .. slot, known['s' .. slot])
    redis.call('PEXPIRE', key, whole(math.ceil(length * (slots + 1) / 1000)))
end
"""

# ARGV: how long others wait at most for a probe, how many retries always go, their share of all calls; then for each
# key its lease and the length of its slots; then for each call whether it is a retry (1, 0), how long it may take
# (0: no longer than a lease), how many keys it has, and their numbers. Two numbers for each call: the wait
# (microseconds, 0 = go), and why (1 open, 2 no budget).
# A call goes through all of its breakers or leaves no trace in any.
ADMIT = Script(
    _WINDOW
    + """
local look, floor, share = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known, full, answers = {}, {}, {}
local function load(key)
    if not known[key] then
        local found = redis.call('HMGET', KEYS[key], 'until', 'lease', 'tried')
        known[key] = {opens = tonumber(found[1]), lease = tonumber(found[2] or 0), tried = found[3]}
    end
    return known[key]
end
local function rest(key, account)
    local one = load(key)
    if not one.opens then return 0 end
    local opens = one.opens
    if one.tried == account then opens = opens + look end
    if opens > now then return opens - now end
    if one.lease > now then return math.min(one.lease - now, look) end
    return 0
end
local function budget(key)
    if load(key).opens then return 0 end
    full[key] = full[key] or fields(KEYS[key])
    local length = tonumber(ARGV[3 + 2 * key])
    local sums = window(full[key], length)
    local all = sums.ok + sums.failed
    local allowed = math.max(floor, math.floor(all * share))
    if sums.failed <= all * share or sums.retries < allowed then return 0 end
    -- Each comes after those who were refused before it, in any process: all of them at once would be a storm.
    local planned = math.max(tonumber(full[key]['next'] or 0), now) + length * slots / allowed
    full[key]['next'] = math.min(planned, now + length * slots)
    redis.call('HSET', KEYS[key], 'next', whole(full[key]['next']))
    return full[key]['next'] - now
end
local place = 4 + 2 * #KEYS
while place <= #ARGV do
    local retry, longest, number = ARGV[place] == '1', tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
    local first, last, wait, why = place + 3, place + 2 + number, 0, 0
    place = last + 1
    for at = first, last do
        wait = math.max(wait, rest(tonumber(ARGV[at]), KEYS[tonumber(ARGV[last])]))
    end
    if wait > 0 then
        why = 1
    elseif retry then
        for at = first, last do wait = math.max(wait, budget(tonumber(ARGV[at]))) end
        if wait > 0 then why = 2 end
    end
    if wait == 0 then
        for at = first, last do
            local key = tonumber(ARGV[at])
            if load(key).opens then
                known[key].lease = now + math.max(tonumber(ARGV[2 + 2 * key]), longest)
                redis.call('HSET', KEYS[key], 'lease', whole(known[key].lease), 'since', whole(now))
            elseif retry then
                count(KEYS[key], full[key], tonumber(ARGV[3 + 2 * key]), 0, 0, 1)
            end
        end
    end
    answers[#answers + 1] = math.ceil(wait)
    answers[#answers + 1] = why
end
return answers
"""
)

# KEYS: the breakers, then the set of those in trouble.
# ARGV: how long a breaker is remembered that nobody asks about; for each key its name, failures, length of a slot,
# open, longest open; then for each outcome ok, failed, took, how many keys it has, and their numbers.
# Three numbers for all that happened: the key, what (1 opened, 2 opened again, 3 closed), for how long it is open.
RECORD = Script(
    _WINDOW
    + """
local keys, forgotten, happened = #KEYS - 1, tonumber(ARGV[1]), {}
local trouble = KEYS[#KEYS]
local function said(key, what, duration)
    for _, one in ipairs({key, what, duration}) do happened[#happened + 1] = one end
end
local function in_trouble(name, longest, remembered)
    redis.call('ZREMRANGEBYSCORE', trouble, '-inf', whole(now))
    redis.call('ZADD', trouble, whole(now + remembered), name)
    redis.call('PEXPIRE', trouble, whole(math.ceil((math.max(longest, remembered) + forgotten) / 1000)))
end
-- `account`: whose call it was, on its provider's breaker. Returns whether the breaker was closed before.
local function note(key, ok, failed, took, account, is_well)
    local at = 5 * key - 3
    local name, failures, length = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local first, longest = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
    local known = fields(KEYS[key])
    local opens = tonumber(known['until'])
    local function open(openings)
        local duration = math.min(first * 2 ^ math.min(openings - 1, 30), longest)
        redis.call('DEL', KEYS[key])
        redis.call('HSET', KEYS[key], 'until', whole(now + duration), 'openings', openings, 'since', whole(now),
            'opened', openings > 1 and known['opened'] or whole(now))
        if openings > 1 and account then redis.call('HSET', KEYS[key], 'tried', account) end
        redis.call('PEXPIRE', KEYS[key], whole(math.ceil((duration + forgotten) / 1000)))
        in_trouble(name, longest, duration + forgotten)
        said(key, openings > 1 and 2 or 1, duration)
    end
    if known['since'] and now - took < tonumber(known['since']) then return not opens end
    if opens then
        if opens > now or tonumber(known['lease'] or 0) <= now then return false end
        if ok == 0 and failed == 0 then
            redis.call('HDEL', KEYS[key], 'lease')
        elseif failed > ok then
            open(tonumber(known['openings']) + 1)
        else
            redis.call('DEL', KEYS[key])
            redis.call('HSET', KEYS[key], 'since', whole(now))
            redis.call('PEXPIRE', KEYS[key], whole(math.ceil(length * slots / 1000)))
            redis.call('ZREM', trouble, name)
            said(key, 3, 0)
        end
        return false
    end
    if ok == 0 and failed == 0 then return true end
    if failed > 0 and not is_well then failed = 0 end -- an account's breaker is open: its failures are its own
    if failed > 0 then
        local sums, shared = window(known, length), true
        sums.ok, sums.failed = sums.ok + ok, sums.failed + failed
        if account then
            local begin = now - length * slots
            if known['by'] and known['by'] ~= account and tonumber(known['at']) > begin then
                known['both'] = whole(now)
                redis.call('HSET', KEYS[key], 'both', known['both'])
            end
            redis.call('HSET', KEYS[key], 'by', account, 'at', whole(now))
            shared = known['both'] and tonumber(known['both']) > begin
        end
        if shared and sums.failed >= failures and sums.failed >= sums.ok then
            open(1)
            return true
        end
        in_trouble(name, longest, length * slots)
    end
    count(KEYS[key], known, length, ok, failed, 0)
    return true
end
local place = 2 + 5 * keys
while place <= #ARGV do
    local number = tonumber(ARGV[place + 3])
    local last = place + 3 + number
    local ok, failed, took = tonumber(ARGV[place]), tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
    local is_well = note(tonumber(ARGV[last]), ok, failed, took, nil, true)
    for at = place + 4, last - 1 do
        note(tonumber(ARGV[at]), ok, failed, took, KEYS[tonumber(ARGV[last])], is_well)
    end
    place = last + 1
end
return happened
"""
)

# ARGV: the length of a slot for each key. Seven numbers for each: state, wait, ok, failed, retries, openings, for how
# long it has not been closed (-1: it is). Changes nothing.
STANDING = Script(
    _WINDOW
    + """
local found = {}
for place, key in ipairs(KEYS) do
    local known = fields(key)
    local sums, opens = window(known, tonumber(ARGV[place])), tonumber(known['until'])
    local state, wait, age = 0, 0, -1
    if opens then
        state = opens > now and 1 or 2
        wait = opens > now and opens - now or math.max(0, tonumber(known['lease'] or 0) - now)
        age = now - tonumber(known['opened'] or now)
    end
    for _, number in ipairs({state, wait, sums.ok, sums.failed, sums.retries, tonumber(known['openings'] or 0), age}) do
        found[#found + 1] = number
    end
end
return found
"""
)

# KEYS: the breaker, the set of those in trouble. ARGV: its name, how long calls under way may still report.
RESET = Script("""
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'since', whole(now))
redis.call('PEXPIRE', KEYS[1], whole(math.ceil(ARGV[2] / 1000)))
return redis.call('ZREM', KEYS[2], ARGV[1])
""")
