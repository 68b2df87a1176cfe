-- KEYS[1]: the document. ARGV: its sequence, its JSON, its time to live in seconds (0: no end).
-- Answers 1 if it was written, 0 if what stands there is newer.
-- Whatever else stands there (a list, a text that is no document) is replaced.
local standing = redis.pcall('GET', KEYS[1])
if type(standing) == 'string' then
  local readable, document = pcall(cjson.decode, standing)
  local sequence = readable and type(document) == 'table' and tonumber(document['sequence'])
  if sequence and sequence > tonumber(ARGV[1]) then
    return 0
  end
end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
end
return 1
