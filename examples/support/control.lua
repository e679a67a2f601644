-- SPDX-License-Identifier: MIT
--
-- Debian control files: "Field: value" lines in paragraphs with an empty line between them, as in package indexes and
-- in the status file of dpkg.
--
--   for paragraph in control.paragraphs(file:lines()) do print(paragraph.Package, paragraph.Version) end
--   control.names("libc6 (>= 2.34), exim4 | mail-transport-agent") --> {"libc6", "exim4", "mail-transport-agent"}
local M = {}

-- An iterator over paragraphs, each a table of texts by field. lines: an iterator over lines.
function M.paragraphs(lines)
  return function()
    local paragraph, last
    for line in lines do
      if line == "" then
        if paragraph then return paragraph end
      else
        local field, value = line:match("^([^%s:]+):%s*(.*)")
        if field then
          paragraph = paragraph or {}
          paragraph[field], last = value, field
        elseif last then -- a line that starts with a space goes on with the field before it
          paragraph[last] = paragraph[last] .. "\n" .. line
        end
      end
    end
    return paragraph
  end
end

-- The names in a field such as Depends or Provides, once each and in their order: alternatives ("a | b") one by one,
-- without versions ("(>= 1)"), architectures ("[amd64]", ":any") and build profiles ("<!nocheck>").
function M.names(text)
  local names, seen = {}, {}
  for clause in (text or ""):gmatch("[^,|]+") do
    local name = clause:match("^%s*([^%s:%(%[<]+)")
    if name and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  return names
end

return M
