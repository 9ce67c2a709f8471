-- Changes to a notebook's document by which Typst accepts it and a page can hold it.
local stringify = pandoc.utils.stringify
local WIDEST = 620    -- CSS pixels between the margins of a page
local LONGEST = 92      -- characters of monospaced type in one line

-- HTML outputs (DataFrames) arrive as raw blocks: read them, so that tables are tables.
local function read_html(block)
  if not block.format:match("html") then return end
  local html = block.text:gsub("<style.-</style>", ""):gsub("<script.-</script>", "")
  local blocks = pandoc.read(html, "html").blocks
  for i, inner in ipairs(blocks) do
    if inner.t == "Plain" then blocks[i] = pandoc.Para(inner.content) end
  end
  return blocks
end

-- pandas names the index in a second header row of its own: move those names up.
local function merge_index_names(tbl)
  local rows = tbl.head.rows
  if #rows < 2 then return end
  local above, names = rows[#rows - 1].cells, rows[#rows].cells
  if #above ~= #names then return end
  for i = 1, #names do
    if stringify(names[i].contents) ~= "" and stringify(above[i].contents) ~= "" then return end
  end
  for i = 1, #names do
    if stringify(names[i].contents) ~= "" then above[i] = names[i] end
  end
  rows:remove(#rows)
  tbl.head.rows = rows
end

-- How many characters of a cell have to stand side by side.
local function longest_piece(cell)
  local longest = 0
  for piece in stringify(cell.contents):gsub("\u{200B}", " "):gmatch("%S+") do
    longest = math.max(longest, utf8.len(piece) or #piece)
  end
  return longest
end

-- How many characters all columns need side by side.
local function least_width(tbl)
  local widths = {}
  local function look(rows)
    for _, row in ipairs(rows) do
      local column = 1
      for _, cell in ipairs(row.cells) do
        if cell.col_span == 1 then widths[column] = math.max(widths[column] or 0, longest_piece(cell)) end
        column = column + cell.col_span
      end
    end
  end
  look(tbl.head.rows)
  for _, body in ipairs(tbl.bodies) do look(body.body) end
  local sum = 0
  for _, width in pairs(widths) do sum = sum + width end
  return sum
end

-- About how many lines of type a table has: a cell of a table of words holds some 45 characters in a line.
local function count_lines(tbl)
  local count = 0
  local function look(rows)
    for _, row in ipairs(rows) do
      local lines = 1
      for _, cell in ipairs(row.cells) do lines = math.max(lines, math.ceil(#stringify(cell.contents) / 45)) end
      count = count + lines
    end
  end
  look(tbl.head.rows)
  for _, body in ipairs(tbl.bodies) do look(body.body) end
  return count
end

-- Headings are strong, and long column names may break behind _ and /.
local function tidy_headings(tbl)
  for _, row in ipairs(tbl.head.rows) do
    for _, cell in ipairs(row.cells) do
      cell.contents = cell.contents:walk{
        Str = function(str) return pandoc.Str((str.text:gsub("([_/])", "%1\u{200B}"))) end,
        Plain = function(plain) return pandoc.Plain{pandoc.Strong(plain.content)} end,
      }
    end
  end
end

local function is_number(text)
  text = text:gsub("[%s,%%±×µunm]", ""):gsub("−", "-")
  return text == "" or text == "-" or text == "–" or text:lower() == "nan" or tonumber(text) ~= nil
end

local function column_is_numbers(tbl, i)
  local some = false
  for _, body in ipairs(tbl.bodies) do
    for _, row in ipairs(body.body) do
      local text = row.cells[i] and stringify(row.cells[i].contents) or ""
      if text ~= "" then some = true end
      if not is_number(text) then return false end
    end
  end
  return some
end

-- Columns as wide as their content, text on the left, numbers on the right.
local function tidy_table(tbl)
  for i, spec in ipairs(tbl.colspecs) do
    local align = spec[1]
    if align == pandoc.AlignDefault then
      align = column_is_numbers(tbl, i) and pandoc.AlignRight or pandoc.AlignLeft
    end
    tbl.colspecs[i] = {align, nil}
  end
  merge_index_names(tbl)
  tidy_headings(tbl)
  local fit = string.format("#fitting(%d, %d, %d)[", least_width(tbl), #tbl.colspecs, count_lines(tbl))
  return {pandoc.RawBlock("typst", fit), tbl, pandoc.RawBlock("typst", "]")}
end

-- Typst never breaks inside a word of printed text: break it here, and show where.
local function wrap_printed(code)
  local out = {}
  for line in (code.text .. "\n"):gmatch("(.-)\n") do
    while (utf8.len(line) or 0) > LONGEST and line:match(("%S"):rep(LONGEST // 2)) do
      local cut = utf8.offset(line, LONGEST + 1)
      out[#out + 1] = line:sub(1, cut - 1) .. "↩"
      line = line:sub(cut)
    end
    out[#out + 1] = line
  end
  code.text = table.concat(out, "\n")
  return code
end

-- Nor does it break inside an address or a name in a sentence: allow it now and then.
local function let_words_break(element)
  if (utf8.len(element.text) or 0) < LONGEST // 2 or not element.text:match(("%S"):rep(LONGEST // 2)) then return end
  element.text = element.text:gsub(utf8.charpattern:rep(12), "%0\u{200B}")
  return element
end

-- Remote images cannot be fetched and missing ones stop Typst.
local function reachable_image(image)
  if image.src:match("^%a+://") then
    local name = #image.caption > 0 and image.caption or {pandoc.Str(image.src)}
    return pandoc.Link(name, image.src)
  end
  if not pcall(pandoc.mediabag.fetch, image.src) then
    return pandoc.Emph{pandoc.Str("[image not found: " .. image.src .. "]")}
  end
  local number, unit = (image.attributes.width or ""):match("^([%d.]+)(%a*)$")
  if number and (unit == "" or unit == "px") and tonumber(number) > WIDEST then
    image.attributes.width = "100%"
  end
  image.attributes.height = nil
  return image
end

-- A paragraph that is one image: in the middle, numbered if it has a caption.
local function lone_image(para)
  if #para.content ~= 1 or para.content[1].t ~= "Image" then return end
  local image = para.content[1]
  if #image.caption > 0 then
    return pandoc.Figure({pandoc.Plain{image}}, {pandoc.Plain(image.caption)})
  end
  return {pandoc.RawBlock("typst", "#align(center)["), pandoc.Plain{image}, pandoc.RawBlock("typst", "]")}
end

-- A paragraph that is all strong names what follows: both stand on one page.
local function lone_paragraph(para)
  if #para.content == 1 and para.content[1].t == "Strong" then
    return {pandoc.RawBlock("typst", "#block(sticky: true)["), para, pandoc.RawBlock("typst", "]")}
  end
  return lone_image(para)
end

-- Jupyter's anchors keep case, labels do not, and a label that is missing stops Typst.
local function safe_link(labels)
  return function(link)
    if link.target:sub(1, 1) ~= "#" then return end
    local id = link.target:sub(2):gsub("%%20", "-"):lower():gsub("[^%w%-_%. ]", ""):gsub("%s+", "-")
    if not labels[id] then return link.content end
    link.target = "#" .. id
    return link
  end
end

-- The first level-1 heading is the title; if it was the only one, all others move up.
local function take_title(doc)
  local count = 0
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" and block.level == 1 then count = count + 1 end
  end
  if count == 0 then return end
  local blocks = pandoc.Blocks{}
  for _, block in ipairs(doc.blocks) do
    if block.t == "Header" and block.level == 1 and not doc.meta.title then
      doc.meta.title = pandoc.MetaInlines(block.content)
    else
      blocks:insert(block)
    end
  end
  if count == 1 then
    blocks = blocks:walk{Header = function(header)
      header.level = math.max(1, header.level - 1)
      return header
    end}
  end
  doc.blocks = blocks
end

function Pandoc(doc)
  doc = doc:walk{RawBlock = read_html}
  take_title(doc)
  local labels = {}
  doc:walk{Header = function(header) labels[header.identifier] = true end}
  return doc:walk{Image = reachable_image}
    :walk{Str = let_words_break, Code = let_words_break}
    :walk{Table = tidy_table, CodeBlock = wrap_printed, Link = safe_link(labels), Para = lone_paragraph}
end
