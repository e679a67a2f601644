-- What all Luas share; differences between them are the business of lua/rille/compat.lua alone.
std = "min"
max_line_length = 120
ignore = { "212/_.*", "212/self" }
exclude_files = { "build", "build.luarocks", "lua_modules", ".luarocks" }
files["lua/rille/compat.lua"] = { std = "max" }
files["bin/rille"] = { std = "max" }
files["bench"] = { std = "max" }
files["examples"] = { std = "max" }
files["spec"] = { std = "max+busted" }
files["tools"] = { std = "lua54" }
files["rockspec"] = { std = "+rockspec" }
